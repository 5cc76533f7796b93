-- Orthanc sends every CR and DX image that it gets to hilum. What comes back is SR and SC, so nothing goes in circles.
-- A job that fails, because hilum is down or full, stays in Orthanc's list of jobs: resubmit.py submits it again.

local FILMS = {
  ['1.2.840.10008.5.1.4.1.1.1'] = true, -- Computed Radiography Image Storage
  ['1.2.840.10008.5.1.4.1.1.1.1'] = true, -- Digital X-Ray Image Storage - For Presentation
}

function OnStoredInstance(instance, tags, metadata)
  if FILMS[tags['SOPClassUID']] then
    RestApiPost('/modalities/hilum/store', DumpJson({ Resources = { instance }, Asynchronous = true }, false))
  end
end

"""An archive of films, read by many processes or machines: shards in, one Parquet file each out, whatever dies in between."""

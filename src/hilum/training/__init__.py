"""From a table of films to a bundle: networks, augmentation, fit, export. The only room that imports torch."""

"""Where examples come from: arrays, TensorFlow Datasets, folders, COCO files, clips."""

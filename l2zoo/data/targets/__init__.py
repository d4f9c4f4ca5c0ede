"""What belongs to an image: a class, a mask, boxes, or nothing."""

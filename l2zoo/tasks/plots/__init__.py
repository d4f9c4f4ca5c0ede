"""Pictures of what comes out: sheets of images with labels, masks or boxes, and animations."""

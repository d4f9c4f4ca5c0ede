"""What a detector needs: targets and boxes, losses, final boxes, and COCO's average precision."""

"""What models say, in whichever words and shapes: fields, boxes, targets, calls. Pure."""

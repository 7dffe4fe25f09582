"""What hospitals send, read by us and by others: pictures against DCMTK, places against ITK."""

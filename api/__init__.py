"""The HTTP front and the command line."""

VERSION = "0.2.0"
DISCLAIMER = "not a medical device"

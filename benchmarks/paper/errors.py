"""What can go wrong in a conversion.

ConversionError     a download folder that is not as described, or a target that exists
"""


class ConversionError(Exception):
    """The message says what was expected where, and what was found."""

"""Times as an auditor writes them: unambiguous, sortable, to the second. All times are UTC."""

DATETIME_FORMAT = "Y-m-d H:i:s \\U\\T\\C"
DATE_FORMAT = "Y-m-d"
TIME_FORMAT = "H:i:s"

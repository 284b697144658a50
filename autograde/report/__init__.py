"""The page for the instructor of a lesson: what the class did not understand, and who needs a look.

statistics counts, figures and sides draw, page puts it together.
"""

from autograde.report.page import write_report

__all__ = ["write_report"]

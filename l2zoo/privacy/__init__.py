"""What a model gives away about its training data: attacks, what they achieve, and how L2 changes that."""

from l2zoo.privacy.auditing import privacy_audit
from l2zoo.privacy.report import Attack, PrivacyReport
from l2zoo.privacy.strengths import plot_strengths, table_of_strengths
from l2zoo.stats.intervals import Interval

__all__ = [
    "Attack",
    "Interval",
    "PrivacyReport",
    "plot_strengths",
    "privacy_audit",
    "table_of_strengths",
]

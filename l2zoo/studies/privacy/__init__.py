"""What a model gives away about its training data: attacks, what they achieve, and how L2 changes that."""

from l2zoo.stats.roc import Interval
from l2zoo.studies.privacy.findings import Attack
from l2zoo.studies.privacy.privacy_audit import privacy_audit
from l2zoo.studies.privacy.result import PrivacyReport, plot_strengths, table_of_strengths
from l2zoo.studies.privacy.strengths import audit_strengths, members_and_others

__all__ = [
    "Attack",
    "Interval",
    "PrivacyReport",
    "audit_strengths",
    "members_and_others",
    "plot_strengths",
    "privacy_audit",
    "table_of_strengths",
]

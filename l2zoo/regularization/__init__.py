"""L2 as one object: policy, strength, schedule, weight decay, conversions, and the audit of what arrives."""

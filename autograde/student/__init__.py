"""The student's side: everything a learner's machine needs, and nothing that decides a grade."""

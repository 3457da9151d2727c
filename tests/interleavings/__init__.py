"""Random launchers at the same time, kills and troubles in between: no turn and no session lost.

One round: a VM with two accounts and a few sessions, a plan drawn from a seed, the storm that
carries it out, a calm ``launcher up``, and the judgement of what is there then.
"""

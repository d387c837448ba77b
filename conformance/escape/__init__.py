"""Attempts to get out of a cell, by subject, and what is needed to make them and to judge them.

`attempt` says what an attempt is, `host` what it is made against, `launch` how it is started, `inside` what it may use,
`oracles` who decides, `judge` how the results become one word; the other modules hold the attempts.
"""

"""Ways to ask: examples before the question, a chain of thought before the answer, votes over several chains.

Works on messages and on any `Engine`; knows no model file, no template file and no screen.
"""

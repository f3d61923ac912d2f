"""Which of our functions stands for which of NumPy's.

Each module holds a table from the name of a NumPy function (`"linalg.inv"` for `np.linalg.inv`) to a
function of ours. The parameters of ours have NumPy's names: those that it has are the ones that are
supported; `chainrule.numpy_protocol` refuses the others, unless nothing needs a gradient.
"""

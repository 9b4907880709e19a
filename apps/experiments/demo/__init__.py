"""The demo workspace's experiments: really trained, on the data sets that scikit-learn ships."""

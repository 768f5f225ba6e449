"""The trainings of this repository; each config names one of these classes.

* `patterson`, `dual_space`: the networks of phasenet. `dual_space` trains the product's network; `patterson` trains the
  paper's network and the small one.
* `autoencoder`, `refined_autoencoder`: the auto-encoders of saxsae, the product's and the paper's.
* `release`, `precision`: helpers of these classes.
"""

"""The trainings of this repository; each config names one of these classes.

* `patterson`, `dual_space`: the networks of phasenet. `dual_space` trains the product's network; `patterson` trains the
  paper's network and the small one.
* `crystals`: the network of phasenet for measured crystals.
* `autoencoder`, `refined_autoencoder`: the auto-encoders of saxsae, the product's and the paper's.
* `densities`: the head that turns what the product's auto-encoder decodes into densities.
* `release`, `precision`: helpers of these classes.
"""

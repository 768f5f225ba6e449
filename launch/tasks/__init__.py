"""The trainings of this repository; each config names one of these classes.

* `patterson`, `dual_space`: the networks of phasenet. `dual_space` trains our own network; `patterson` trains the
  paper's network and a small one.
* `crystals`: the network of phasenet for measured crystals.
* `autoencoder`, `refined_autoencoder`: the auto-encoders of saxsae, our own and the paper's.
* `densities`: the head that turns occupancy maps decoded by our auto-encoder into densities.
* `release`, `precision`: helpers of these classes.
"""

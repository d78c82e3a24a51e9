"""What the paper prints (arXiv 2405.17615, ESC-50), for the tables to stand beside.

Its AD has the range of probabilities that went through a softmax twice, so it is set
beside our ``AD (double softmax)``. Its FF with STFT masking is the mean confidence for
all methods alike, also for those that remove nothing: it cannot be the stated metric.
"""

COLUMNS = ("AI", "AD (double softmax)", "AG", "FF", "FidIn", "SPS", "COMP", "MM")

# by data set, condition, domain and method, in the order of COLUMNS
FIGURES = {
    ("ESC-50", "in_domain", "mel"): {
        "gradcam": (2.90, 45.85, 1.01, 0.28, 0.19, 0.71, 9.52, 0.15),
        "gradcam++": (8.45, 35.07, 3.19, 0.50, 0.39, 0.41, 10.32, 0.35),
        "smoothgrad": (0.50, 52.76, 0.12, 0.024, 0.036, 0.301, 10.52, 0.039),
        "integrated_gradients": (0.25, 53.47, 0.054, 0.064, 0.022, 0.57, 10.09, 0.037),
        "lmac_zs": (23.45, 17.12, 10.31, 0.51, 0.68, 0.80, 9.12, 0.17),
    },
    ("ESC-50", "in_domain", "stft"): {
        "gradcam": (20.30, 23.75, 7.77, 0.78, 0.58, 0.72, 11.54, 0.14),
        "gradcam++": (32.50, 8.97, 7.95, 0.79, 0.84, 0.41, 12.41, 0.35),
        "smoothgrad": (6.95, 32.75, 2.85, 0.78, 0.47, 0.53, 11.98, 0.0001),
        "integrated_gradients": (16.10, 21.51, 6.05, 0.79, 0.65, 0.74, 11.58, 0.0095),
        "scorecam": (29.97, 12.14, 8.82, 0.70, 0.75, 0.32, 12.59, 0.41),
        "gscorecam": (29.64, 8.56, 6.62, 0.79, 0.84, 0.36, 12.52, 0.39),
        "lmac_zs": (43.35, 4.29, 10.57, 0.78, 0.90, 0.65, 11.86, 0.10),
    },
}
ACCURACY = {"mel": 80.7, "stft": 78.9}  # in per cent, of the paper's classifier

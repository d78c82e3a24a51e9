"""The sections of RESULTS.md and their commands."""

EVALUATE = (
    "torchrun --nproc_per_node=2 evaluate.py hparams/evaluate.yaml --dataset {0} "
    "--data_folder DIR/{0} --speech_folder DIR/LJSpeech-1.1"
)
CHECK = (
    "python -m speechbrain_lmac.evaluation.{} hparams/evaluate.yaml "
    "--data_folder DIR/ESC-50"
)
ESC50, URBAN = EVALUATE.format("ESC-50"), EVALUATE.format("UrbanSound8K")
MIXED = "[another_clip, speech, two_sources]"
CONTROLS = (
    "control_ones, control_constant, control_random, control_other, control_loudest"
)
# where few clips left intervals that touch; without the two that cost most
MORE = (
    '--clips {} --curve_fractions "[]" --methods "[lmac_zs, '
    f'gradcam, gradcam++, scorecam, gscorecam, {CONTROLS}]"'
)
# Folder of the results: title, command, the file with the tables. All of it takes two
# cores some four hours, by which the counts of clips were chosen.
SECTIONS = {
    "esc50_stft": (
        "ESC-50, in-domain, STFT masking",
        f'{ESC50} --conditions "[in_domain]" --domains "[stft]"',
        "table.md",
    ),
    "esc50_mel": (
        "ESC-50, in-domain, Mel masking",
        f'{ESC50} --conditions "[in_domain]" --domains "[mel]" --curve_fractions "[]"',
        "table.md",
    ),
    "urbansound8k_stft": (
        "UrbanSound8K, in-domain, STFT masking",
        f'{URBAN} --conditions "[in_domain]" --domains "[stft]" --curve_fractions "[]"',
        "table.md",
    ),
    "urbansound8k_mel": (
        "UrbanSound8K, in-domain, Mel masking",
        f'{URBAN} --conditions "[in_domain]" --domains "[mel]" --clips 240 '
        '--curve_fractions "[]"',
        "table.md",
    ),
    "esc50_noise": (
        "ESC-50, in white noise",
        f'{ESC50} --conditions "[white_noise]" --clips 120 --curve_fractions "[]"',
        "table.md",
    ),
    "urbansound8k_noise": (
        "UrbanSound8K, in white noise",
        f'{URBAN} --conditions "[white_noise]" --clips 120 --curve_fractions "[]"',
        "table.md",
    ),
    "esc50_noise_more": (
        "ESC-50, in white noise, more clips",
        f'{ESC50} --conditions "[white_noise]" {MORE.format(400)}',
        "table.md",
    ),
    "esc50_mixed": (
        "ESC-50, with other clips and speech, and mixtures",
        f'{ESC50} --conditions "{MIXED}" --clips 56 --curve_fractions "[]"',
        "table.md",
    ),
    "esc50_more": (
        "ESC-50, with other clips and speech, STFT masking, more clips",
        f'{ESC50} --conditions "[another_clip, speech]" --domains "[stft]" '
        f"{MORE.format(120)}",
        "table.md",
    ),
    "esc50_speech_more": (
        "ESC-50, in speech, Mel masking, more clips",
        f'{ESC50} --conditions "[speech]" --domains "[mel]" {MORE.format(120)}',
        "table.md",
    ),
    "esc50_two_sources_more": (
        "ESC-50, mixtures, STFT masking, more clips",
        f'{ESC50} --conditions "[two_sources]" --domains "[stft]" {MORE.format(120)}',
        "table.md",
    ),
    "esc50_two_sources_controls": (
        "ESC-50, mixtures, against the controls",
        f'{ESC50} --conditions "[two_sources]" --curve_fractions "[]" '
        f'--methods "[lmac_zs, {CONTROLS}, control_ideal]"',
        "table.md",
    ),
    "urbansound8k_mixed": (
        "UrbanSound8K, with other clips and speech, and mixtures",
        f'{URBAN} --conditions "{MIXED}" --clips 56 --curve_fractions "[]"',
        "table.md",
    ),
    "urbansound8k_more": (
        "UrbanSound8K, with other clips, STFT masking, more clips",
        f'{URBAN} --conditions "[another_clip]" --domains "[stft]" {MORE.format(120)}',
        "table.md",
    ),
    "urbansound8k_noise_more": (
        "UrbanSound8K, in white noise, STFT masking, more clips",
        f'{URBAN} --conditions "[white_noise]" --domains "[stft]" {MORE.format(240)}',
        "table.md",
    ),
    "prompts": (
        "Does the mask follow the prompt? STFT masking",
        f"{CHECK.format('prompts')} "
        '--methods "[lmac_zs, gradcam, gradcam++, scorecam, gscorecam]"',
        "sanity/prompts.md",
    ),
    "prompts_mel": (
        "Does the mask follow the prompt? Mel masking",
        f"{CHECK.format('prompts')} "
        '--methods "[lmac_zs, gradcam, gradcam++, scorecam, gscorecam]" '
        '--domains "[mel]"',
        "sanity/prompts.md",
    ),
    "prompts_scale": (
        "The same, maps over the largest of a clip's prompts",
        f"{CHECK.format('prompts')} "
        '--methods "[lmac_zs, gradcam, gradcam++, scorecam, gscorecam]" '
        "--scale prompts",
        "sanity/prompts.md",
    ),
    "randomisation": (
        "Do the maps change when the encoder is randomised? STFT masking",
        f"{CHECK.format('randomisation')} --clips 20",
        "sanity/randomisation.md",
    ),
    "randomisation_mel": (
        "Do the maps change when the encoder is randomised? Mel masking",
        f'{CHECK.format("randomisation")} --clips 20 --domains "[mel]"',
        "sanity/randomisation.md",
    ),
    "ablation": (
        "What the loss, the decoder and the masking law are worth",
        "python benchmarks/ablation.py --data_folder DIR/ESC-50 --epochs 6 "
        "--clips 100 --precision bf16",
        "sanity/ablation.md",
    ),
    "training_sets": (
        "What the training set is worth",
        "python benchmarks/training_sets.py --data_folder DIR --epochs 1 --clips 240 "
        "--precision bf16",
        "sanity/training_sets.md",
    ),
}

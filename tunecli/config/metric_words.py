"""The direction of a user's own metric, as far as the words of its name show it."""

from __future__ import annotations

import re

_LOWER_IS_BETTER = (
    "loss losses error errors err ppl perplexity rmse rmsle mse msle mae mape smape mdae medae nll logloss wer "
    "cer ter mer per bpc bpb bpd bpt fid kid fvd fad rms rmsd crossentropy xent brier ece mce regret rank1error "
    "top1error top5error deviance misclassification eer hter lpips latency time times runtime walltime duration "
    "elapsed seconds secs ms fpr fnr fdr far frr mcd rmsve mase wape wmape crps pinball divergence kl kld emd "
    "wasserstein chamfer epe ade fde hausdorff failures mistakes"
)
_HIGHER_IS_BETTER = (
    "acc accuracy accuracies auc auroc aucroc rocauc roc auprc aucpr prauc f1 f2 f1score fscore fbeta fmeasure "
    "precision recall reward rewards return returns r2 iou miou giou dice jaccard bleu sacrebleu chrf rouge "
    "rouge1 rouge2 rougel rougelsum meteor cider spice bertscore mcc matthews kappa qwk psnr ssim msssim sharpe "
    "ndcg dcg mrr elbo map likelihood acc1 acc5 top1 top3 top5 top10 specificity sensitivity tpr tnr elo winrate "
    "em score scores ap ap50 ap75 map50 map75 map5095 hits spearman pearson spearmanr pearsonr correlation corr "
    "r2score explainedvariance silhouette nmi ari ami success successes goodness snr sdr sisdr pesq stoi "
    "inceptionscore solved gmean balancedaccuracy"
)
_INVERTING = (
    "neg negative negated minus inverse inv not non reduction drop improvement gain decrease increase reduced "
    "ratio delta diff difference change log1p speed speedup to until before limit budget between of over"
)
_BOTH_WORDS = {
    "win_rate": True,
    "success_rate": True,
    "hit_rate": True,
    "true_positive_rate": True,
    "true_negative_rate": True,
    "inception_score": True,
    "r_squared": True,
    "explained_variance": True,
    "exact_match": True,
    "log_likelihood": True,
    "negative_log_likelihood": False,
    "neg_log_likelihood": False,
    "bits_per_byte": False,
    "bits_per_char": False,
    "bits_per_dim": False,
    "cross_entropy": False,
    "brier_score": False,
    "fid_score": False,
    "davies_bouldin_score": False,
    "false_positive_rate": False,
    "false_negative_rate": False,
    "failure_rate": False,
    "word_error_rate": False,
    "character_error_rate": False,
    "log_loss": False,
    "hamming_loss": False,
}
"""Names of several words whose direction does not follow from the single words; true: a higher value is better."""
_LESS, _MORE, _TURNS = (
    frozenset(words.split()) for words in (_LOWER_IS_BETTER, _HIGHER_IS_BETTER, _INVERTING)
)
_WORDS = re.compile(r"[A-Z]+(?![a-z])[0-9]*|[A-Z]?[a-z]+[0-9]*|[0-9]+")
_SEPARATORS = re.compile(r"[^A-Za-z0-9]+")


def maximized_by_name(name: str) -> bool | None:
    """Whether a higher value of a user's own metric is better, as far as its name shows; None if it does not.

    ``test_loss``, ``val/ppl`` and ``latency_ms`` are minimized, ``acc``, ``eval_f1_macro`` and ``mAP@50`` maximized. A
    name with words of both kinds (``loss_accuracy``), or with an inverting word (``neg_loss``, ``time_to_loss``), is
    ambiguous. Prefixes, suffixes and their separators do not matter.
    """
    whole = "_".join(_SEPARATORS.split(name)).lower()
    words = {word.lower() for word in _WORDS.findall(name)} | set(whole.split("_"))
    spelt = "_".join(word.lower() for word in _WORDS.findall(name))
    known = {
        phrase: is_higher
        for phrase, is_higher in _BOTH_WORDS.items()
        if any(f"_{phrase}_" in f"_{text}_" for text in (whole, spelt))
    }
    if known:
        longest = max(known, key=len)
        rest = words - set(longest.split("_"))
        is_clear = not rest & _TURNS and not rest & (_LESS if known[longest] else _MORE)
        return known[longest] if is_clear else None
    if words & ((_LESS | _MORE) - {"per"}):
        words.discard("per")  # "reward_per_episode" is no phoneme error rate
    if words & _TURNS or bool(words & _LESS) == bool(words & _MORE):
        return None
    return bool(words & _MORE)

"""What a training clip is asked about, and which sentences are offered beside it."""

import torch

LEAST = 5  # sentences that are offered, so that some are foreign
DEEPEST = 12  # places from the likeliest sentence down


class Questions:
    """Draws sentences for clips.

    A mixture is asked about its sources' captions. A single clip is asked about the
    likeliest of what is offered, right or wrong, since that is what an explanation is
    for, and about one that is foreign to it. Offered are its caption and a part of the
    other sentences, few as often as many: who asks may offer nothing like what the clip
    resembles most. For some single clips it is one of the likeliest sentences and all
    that are less likely: with little in the clip to show, and as close to the next.
    What is likelier than the prompt, and was not offered, is not foreign to it.

    Arguments
    ---------
    hard_share : float
        Share of foreign prompts that are the likeliest that is offered and not in the
        clip; the others are any that is.
    left_out : float
        Share of the sentences that are not offered: drawn between 0 and this.
    unlikely_share : float
        Share of the single clips that are asked about one of the twelve likeliest
        sentences, each as often; their foreign prompts are any less likely one.
    rivals : int
        Further foreign prompts, of any that are offered.
    """

    def __init__(self, hard_share=0.5, left_out=1.0, unlikely_share=0.0, rivals=2):
        self.hard_share, self.left_out = hard_share, left_out
        self.unlikely_share, self.rivals = unlikely_share, rivals

    def draw(self, clips, sentences):
        """All that is random, for the whole batch, so that every process has the same.

        Arguments
        ---------
        clips : int
            B.
        sentences : int
            Q.

        Returns
        -------
        list of torch.Tensor
            For :meth:`choose`; B rows each.
        """
        share = 1 - self.left_out * (1 - torch.rand(clips, 1) ** 2)
        place = torch.rand(clips, sentences).argsort(1).argsort(1)
        deepest = max(1, min(DEEPEST, sentences - LEAST + 1))
        return [
            place < (share * sentences).clamp(min=LEAST),
            torch.rand(clips) < self.unlikely_share,
            torch.randint(deepest, (clips, 1)),
            torch.rand(clips) < self.hard_share,
            torch.rand(clips, sentences),
        ]

    def choose(self, drawn, similarity, captions, mixed, alike):
        """The sentences of each clip.

        Arguments
        ---------
        drawn : list of torch.Tensor
            From :meth:`draw`, B rows each.
        similarity : torch.Tensor
            Of the clips to the sentences [B, Q].
        captions : torch.Tensor
            Number of each clip's own caption, and of the one that it is mixed with if
            it is [B, 2].
        mixed : torch.Tensor
            Whether it is [B].
        alike : torch.Tensor
            Which sentences name the same [Q, Q].

        Returns
        -------
        prompts : torch.Tensor
            Numbers of two sentences: of a mixture both captions, of a single clip the
            likeliest and a foreign one [B, 2].
        rivals : torch.Tensor
            Numbers of further foreign ones [B, rivals]; fewer of too few sentences.
        offered : torch.Tensor
            Which ones the first was chosen among; for mixtures all [B, Q].
        """
        offered, unlikely, place, hard, lots = (x.to(similarity.device) for x in drawn)
        single, unlikely = ~mixed.unsqueeze(1), (unlikely & ~mixed).unsqueeze(1)
        first, second = captions.split(1, 1)
        most = similarity.sort(1, descending=True).values.gather(1, place)
        offered = offered.scatter(1, first, True) | ~single
        offered = offered.where(~unlikely, similarity <= most)
        likeliest = similarity.masked_fill(~offered, -torch.inf).argmax(1, keepdim=True)
        named = torch.cat([first, likeliest.where(single, second)], 1)
        absent = _absent(similarity, named, alike, offered)
        score = similarity.where(hard.unsqueeze(1) & ~unlikely, lots)
        foreign = (score + absent).argmax(1, keepdim=True)
        count = min(self.rivals, similarity.shape[1] - 2)
        rivals = (lots + absent).topk(count, 1).indices
        prompts = torch.cat([likeliest, foreign], 1).where(single, named)
        return prompts, rivals, offered


def _absent(similarity, named, alike, offered):
    """What to add to scores [B, Q] to choose what is not in the clip.

    Nothing that is named; what was not offered only where nothing else is left,
    and then what is like a name, or likeliest of all.
    """
    present = torch.cat([named, similarity.argmax(1, keepdim=True)], 1)
    unwanted = 4.0 * alike[present].any(1) + 2.0 * ~offered
    return (-unwanted).scatter(1, named, -torch.inf)

package org.alpaca4j.data.metrics;

/**
 * Scores of generated texts in percent: of one, or means over several.
 *
 * @param rouge1 ROUGE-1 F-measure
 * @param rouge2 ROUGE-2 F-measure
 * @param rougeL ROUGE-L F-measure
 * @param bleu4 BLEU-4 on characters
 * @param exactMatch share of texts that equal their reference but for white space around them
 */
public record GenerationScores(
    double rouge1, double rouge2, double rougeL, double bleu4, double exactMatch) {}

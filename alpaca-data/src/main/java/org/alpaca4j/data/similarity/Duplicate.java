package org.alpaca4j.data.similarity;

/**
 * A text that is too like another one.
 *
 * @param index the text's index in its list, from 0
 * @param mostSimilar the most similar one of those it was compared with; in a {@link Deduplication}
 *     as {@link Deduplication#isSeed} says, in a {@link ContaminationReport} the index of the
 *     training text
 * @param score ROUGE-L F-measure of the two
 */
public record Duplicate(int index, int mostSimilar, double score) {}

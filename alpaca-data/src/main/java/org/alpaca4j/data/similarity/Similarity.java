package org.alpaca4j.data.similarity;

/**
 * How alike another text is.
 *
 * @param index the other text's index, from 0
 * @param score ROUGE-L F-measure, 0 to 1
 */
public record Similarity(int index, double score) {}

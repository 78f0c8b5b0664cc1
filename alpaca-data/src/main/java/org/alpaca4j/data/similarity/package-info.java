/**
 * How alike texts are by ROUGE-L, at scale: scores, the filter of Self-Instruct, deduplication and
 * contamination of evaluation data. Start with {@link org.alpaca4j.data.similarity.Deduplicator}.
 */
@NullMarked
package org.alpaca4j.data.similarity;

import org.jspecify.annotations.NullMarked;

/**
 * Metrics of generated texts against references: ROUGE, BLEU-4, exact match. Start with {@link
 * org.alpaca4j.data.metrics.GenerationMetrics}.
 */
@NullMarked
package org.alpaca4j.data.metrics;

import org.jspecify.annotations.NullMarked;

/** A look at instruction data before training: lengths, duplicates, verbs and nouns, scripts. */
@NullMarked
package org.alpaca4j.data.report;

import org.jspecify.annotations.NullMarked;

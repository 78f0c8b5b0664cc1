/**
 * Makes a {@code tokenizer.json} of the vocabularies that older tokenizers are published as. Not
 * part of the API.
 */
@NullMarked
package org.alpaca4j.core.internal.tokenizer;

import org.jspecify.annotations.NullMarked;

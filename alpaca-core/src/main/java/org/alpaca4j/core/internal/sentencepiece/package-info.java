/**
 * Reads SentencePiece's {@code tokenizer.model}, and makes a Hugging Face tokenizer of it.
 *
 * <p>Internal: used by the modules of this project, not part of the public API.
 */
@NullMarked
package org.alpaca4j.core.internal.sentencepiece;

import org.jspecify.annotations.NullMarked;

/**
 * Checkpoints, tokenizers, prompts and chat templates, causal language models and text generation.
 */
@NullMarked
package org.alpaca4j.core;

import org.jspecify.annotations.NullMarked;

package org.alpaca4j.train;

import ai.djl.engine.EngineException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.alpaca4j.core.AlpacaException;
import org.alpaca4j.core.CausalLm;
import org.alpaca4j.core.Conformance;
import org.alpaca4j.core.Conformance.Prompt;
import org.alpaca4j.core.DType;
import org.alpaca4j.data.SupervisedDataset;
import org.alpaca4j.data.SupervisedExample;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Makes the conformance file of a trained model, of prompts of its training data. Where these came
 * as tokens, or none of their prompts can be asked, of the tokens before the answers.
 *
 * @param count how many prompts; 0 makes no file
 */
record ConformanceRecorder(SupervisedDataset dataset, int count) {
  private static final Logger log = LoggerFactory.getLogger(SftTrainer.class);

  /** Tokens of a prompt that is cut out of an example. */
  private static final int CUT = 64;

  /**
   * Returns the file's text; empty if none is wanted, or none can be made: a trained model is saved
   * in any case.
   */
  Optional<String> file(CausalLm model, DType saved) {
    if (count == 0) {
      return Optional.empty();
    }
    try {
      Optional<String> file = Conformance.make(model, saved, dataset.promptSample(), count);
      return file.isPresent() ? file : Conformance.make(model, saved, cutOut(), count);
    } catch (AlpacaException | EngineException e) {
      log.warn("saved without {}: {}", Conformance.FILE_NAME, e.getMessage());
      return Optional.empty();
    }
  }

  private List<Prompt> cutOut() {
    List<Prompt> prompts = new ArrayList<>();
    int examples = Math.min(count, dataset.size());
    for (int i = 0; i < examples; i++) {
      SupervisedExample example =
          dataset.get((int) ((long) i * dataset.size() / examples)).sequences().get(0);
      int end = 0;
      while (end < Math.min(example.length(), CUT)
          && example.labels()[end] == SupervisedExample.IGNORE_INDEX) {
        end++;
      }
      prompts.add(Prompt.ofIds(Arrays.copyOf(example.ids(), Math.max(1, end))));
    }
    return prompts;
  }
}

package org.alpaca4j.train;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;
import org.alpaca4j.core.CausalLm;
import org.alpaca4j.core.PromptForm;
import org.alpaca4j.core.Tokenizer;
import org.alpaca4j.core.internal.model.LoadedModel;
import org.alpaca4j.data.SupervisedDataset;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What is looked at before a run takes its time: whether it can teach anything, and whether the
 * model will be asked, and will end, as it is taught. Refuses, or notes what it found.
 */
final class RunChecks {
  private static final Logger log = LoggerFactory.getLogger(SftTrainer.class);

  private final List<String> notes = new ArrayList<>();

  /** Returns what was found, in order; also in the log. */
  List<String> notes() {
    return notes;
  }

  private void note(String text) {
    log.warn("{}", text);
    notes.add(text);
  }

  /** Refuses weights from which nothing can be learnt. */
  void requireFinite(LoadedModel weights) {
    Optional<String> broken = weights.firstNonFinite();
    if (broken.isPresent()) {
      throw new TrainingException(
          "the loaded weights of '"
              + broken.get()
              + "' have a value that is no finite number, so that nothing can be learnt; load them"
              + " from another copy, or from an earlier checkpoint");
    }
  }

  /** Refuses a schedule that is 0 all the time; a learning rate of 0 is noted. */
  void requireARate(SftConfig config, LearningRateSchedule schedule, int steps) {
    if (IntStream.range(0, steps).anyMatch(step -> schedule.learningRate(step) > 0)) {
      return;
    }
    if (config.learningRate() > 0) {
      throw new TrainingException(
          "the learning rate is 0 in all "
              + steps
              + " steps, of which "
              + config.warmupSteps(steps)
              + " warm up: nothing would be learnt. Set fewer warmupSteps or a smaller warmupRatio,"
              + " or train for more steps");
    }
    note("learningRate is 0: the weights stay as they are in all " + steps + " steps");
  }

  /** Refuses an order with a step that has nothing to learn. */
  void requireSupervision(SupervisedDataset dataset, WindowOrder order, int steps) {
    if (IntStream.range(0, dataset.size()).allMatch(i -> dataset.supervisedTokens(i) > 0)) {
      return;
    }
    for (int step = 0; step < steps; step++) {
      int[] examples = order.microBatches(step).stream().flatMapToInt(Arrays::stream).toArray();
      if (Arrays.stream(examples).allMatch(i -> dataset.supervisedTokens(i) == 0)) {
        throw new TrainingException(
            "step "
                + (step + 1)
                + " would teach nothing: no token of its examples "
                + Arrays.toString(examples)
                + " is supervised; leave such examples out (onFullyMasked DROP), or take a larger"
                + " batch");
      }
    }
  }

  /**
   * Has the model asked in the form of the training, and ended by the tokens that close the answers
   * there.
   *
   * @param form null where the dataset does not say
   */
  void teachForm(
      CausalLm model, LoadedModel weights, SupervisedDataset dataset, @Nullable PromptForm form) {
    if (form != null) {
      model.usePromptForm(form);
    }
    List<Integer> before = model.endTokenIds(); // reads the file, too: now, not after the training
    if (!model.hasTokenizer()) {
      return;
    }
    Tokenizer tokenizer = model.tokenizer();
    List<Integer> ends = AnswerEnds.of(dataset, tokenizer);
    ends.forEach(end -> noteIfUntrained(end, tokenizer, weights));
    List<Integer> added = ends.stream().filter(end -> !before.contains(end)).toList();
    if (!added.isEmpty()) {
      model.addEndTokens(added);
      note(
          "the answers are closed by "
              + added.stream().map(tokenizer::idToToken).toList()
              + ", which did not end generation before; added to the model's end tokens");
    }
  }

  /** A row that is like another's gets its score, whatever the model has seen. */
  private void noteIfUntrained(int end, Tokenizer tokenizer, LoadedModel weights) {
    float[] row = weights.headRow(end);
    Optional<String> like =
        tokenizer.specialTokens().stream()
            .filter(
                token -> {
                  int id = tokenizer.tokenToId(token).orElse(end);
                  return id != end
                      && id < weights.config().vocabSize()
                      && Arrays.equals(row, weights.headRow(id));
                })
            .findFirst();
    boolean zero = IntStream.range(0, row.length).allMatch(i -> row[i] == 0);
    if (zero || like.isPresent()) {
      note(
          "the output row of "
              + tokenizer.idToToken(end)
              + ", which closes the answers, was never trained: it is "
              + (zero ? "zero" : "the same as that of " + like.orElseThrow())
              + ". A short training may not teach the model to stop: train longer, start from a"
              + " checkpoint that knows the token (an instruct model), or close answers with the"
              + " tokenizer's own end-of-sequence token");
    }
  }
}

package org.alpaca4j.data.metrics;

import java.math.BigDecimal;
import java.math.RoundingMode;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.ToDoubleFunction;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * ROUGE-1/2/L, BLEU-4 and exact match of generated texts, as LLaMA-Factory calculates them when it
 * predicts: ROUGE on the segmenter's words, BLEU on characters, percent rounded to four places for
 * each text before averaging. A text without any word has ROUGE 0; where the segmenter leaves most
 * letters of a text out, as {@code RougeTokens::tokenize} does with other scripts than Latin, the
 * log says so once.
 *
 * <p>Thread-safe.
 */
public final class GenerationMetrics {
  private static final Logger log = LoggerFactory.getLogger(GenerationMetrics.class);

  private final Segmenter segmenter;
  private final AtomicBoolean warned = new AtomicBoolean();

  /**
   * Creates metrics.
   *
   * @param segmenter cuts texts into words for ROUGE; {@link Segmenter#jieba()} for Chinese and for
   *     LLaMA-Factory's numbers
   */
  public GenerationMetrics(Segmenter segmenter) {
    Objects.requireNonNull(segmenter, "segmenter is null");
    this.segmenter = segmenter;
  }

  /**
   * Scores one text.
   *
   * @param prediction the generated text
   * @param reference the text it should be
   */
  public GenerationScores score(String prediction, String reference) {
    Objects.requireNonNull(prediction, "prediction is null");
    Objects.requireNonNull(reference, "reference is null");
    Rouge rouge = Rouge.of(words(prediction), words(reference));
    boolean same = PythonText.strip(prediction).equals(PythonText.strip(reference));
    return new GenerationScores(
        percent(rouge.rouge1().fMeasure()),
        percent(rouge.rouge2().fMeasure()),
        percent(rouge.rougeL().fMeasure()),
        percent(Bleu.bleu4(prediction, reference)),
        same ? 100 : 0);
  }

  private List<String> words(String text) {
    List<String> words = segmenter.segment(text);
    if (leavesMostOut(text, words) && !warned.getAndSet(true)) {
      log.warn(
          "the segmenter leaves out most letters of a text, so ROUGE compares little or nothing of"
              + " it; use Segmenter.jieba() for Chinese, or RougeTokens::tokenizeFitting for any"
              + " script");
    }
    return words;
  }

  static boolean leavesMostOut(String text, List<String> words) {
    return 2 * words.stream().mapToLong(GenerationMetrics::letters).sum() < letters(text);
  }

  private static long letters(String text) {
    return text.codePoints().filter(Character::isLetter).count();
  }

  /**
   * Returns the means of the scores of several texts; all 0 if there is none.
   *
   * @param predictions the generated texts
   * @param references the texts they should be, in the same order
   * @throws IllegalArgumentException if the lists differ in length
   */
  public GenerationScores score(List<String> predictions, List<String> references) {
    Objects.requireNonNull(predictions, "predictions is null");
    Objects.requireNonNull(references, "references is null");
    if (predictions.size() != references.size()) {
      throw new IllegalArgumentException(
          predictions.size() + " predictions, but " + references.size() + " references");
    }
    GenerationScores[] scores = new GenerationScores[predictions.size()];
    for (int i = 0; i < scores.length; i++) {
      scores[i] = score(predictions.get(i), references.get(i));
    }
    List<GenerationScores> all = List.of(scores);
    return new GenerationScores(
        mean(all, GenerationScores::rouge1),
        mean(all, GenerationScores::rouge2),
        mean(all, GenerationScores::rougeL),
        mean(all, GenerationScores::bleu4),
        mean(all, GenerationScores::exactMatch));
  }

  private static double mean(
      List<GenerationScores> scores, ToDoubleFunction<GenerationScores> one) {
    return scores.stream().mapToDouble(one).average().orElse(0);
  }

  /** Rounds like Python: the exact value of the double, a half to the even neighbour. */
  private static double percent(double share) {
    return new BigDecimal(share * 100).setScale(4, RoundingMode.HALF_EVEN).doubleValue();
  }
}

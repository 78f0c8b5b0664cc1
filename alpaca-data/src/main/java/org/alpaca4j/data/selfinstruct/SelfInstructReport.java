package org.alpaca4j.data.selfinstruct;

import java.util.Collections;
import java.util.EnumMap;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalDouble;

/**
 * What became of the replies of an output folder, those of earlier runs included.
 *
 * @param requests replies used
 * @param newRequests how many of them this run asked for
 * @param instructions records in {@code regen.json}
 * @param kept how many of them come from these replies
 * @param dropped parts of replies that were not kept, by reason; reasons that never occurred are
 *     absent
 * @param usage tokens, as the model counts them; a model that does not count adds nothing
 * @param cost of these tokens, in the currency of the prices given; empty without prices
 * @param end why the run ended
 */
public record SelfInstructReport(
    long requests,
    long newRequests,
    int instructions,
    int kept,
    Map<DropReason, Integer> dropped,
    TokenUsage usage,
    OptionalDouble cost,
    End end) {

  /** Why a run ended. */
  public enum End {
    /** It has not yet: this is a report on the way. */
    RUNNING,
    /** There are as many instructions as were asked for. */
    COMPLETE,
    /** The largest number of requests was reached. */
    MAX_REQUESTS,
    /** Too many rounds in a row brought nothing new. */
    FRUITLESS
  }

  /** Copies the map. */
  public SelfInstructReport {
    Map<DropReason, Integer> copy = new EnumMap<>(DropReason.class);
    copy.putAll(dropped);
    dropped = Collections.unmodifiableMap(copy);
  }

  /** Returns the report as a few lines of text. */
  public String toText() {
    StringBuilder text = new StringBuilder();
    text.append(
        String.format(
            Locale.ROOT,
            "%d instructions, %d of them from %d replies (%d asked for by this run)%n",
            instructions,
            kept,
            requests,
            newRequests));
    dropped.forEach(
        (reason, count) ->
            text.append(
                String.format(Locale.ROOT, "  dropped %5d  %s%n", count, reason.description())));
    text.append(
        String.format(
            Locale.ROOT,
            "%d prompt tokens, %d completion tokens",
            usage.promptTokens(),
            usage.completionTokens()));
    cost.ifPresent(value -> text.append(String.format(Locale.ROOT, ", cost %.4f", value)));
    return text.toString();
  }
}

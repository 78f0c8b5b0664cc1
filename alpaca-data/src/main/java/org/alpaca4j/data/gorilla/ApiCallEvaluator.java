package org.alpaca4j.data.gorilla;

import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import org.alpaca4j.data.gorilla.ApiJudgement.Verdict;
import org.alpaca4j.data.internal.python.PythonParser;
import org.alpaca4j.data.internal.python.PythonSyntaxException;
import org.alpaca4j.data.internal.python.PythonTree;
import org.jspecify.annotations.Nullable;

/**
 * Judges generated API calls as Gorilla's evaluation does, by syntax tree: some call anywhere in
 * the candidate must have the reference's function, by its whole dotted name, and equal trees in
 * the arguments that count ({@link ApiHub}). A candidate that calls another API of the base is
 * wrong; anything else, also a text that is not Python 3.11, is a hallucination.
 *
 * <p>Trees are compared, not values: {@code 'a' 'b'} equals {@code "ab"}, but {@code 'a' + 'b'}
 * does not. Unlike the original, which searches the arguments' text in the candidate's, an argument
 * must stand at its place. Candidates are parsed, never executed. Immutable and thread-safe.
 */
public final class ApiCallEvaluator {
  private final ApiHub hub;
  private final Set<CallSignature> base = new HashSet<>();
  private final List<String> unusable;

  private ApiCallEvaluator(ApiHub hub, Collection<String> calls) {
    this.hub = hub;
    List<String> notCalls = new ArrayList<>();
    for (String call : new HashSet<>(calls).stream().sorted().toList()) {
      CallSignature signature = reference(call);
      if (signature == null) {
        notCalls.add(call);
      } else if (signature.complete()) {
        base.add(signature);
      }
    }
    unusable = List.copyOf(notCalls);
  }

  /**
   * A generated call and what it should have been.
   *
   * @param candidate Python source, of one or more statements; see {@link #candidate}
   * @param reference a single call, Python source
   */
  public record Prediction(String candidate, String reference) {}

  /**
   * Returns an evaluator.
   *
   * @param base the reference calls of all APIs that there are
   */
  public static ApiCallEvaluator of(ApiHub hub, Collection<String> base) {
    Objects.requireNonNull(hub, "hub is null");
    Objects.requireNonNull(base, "base is null");
    return new ApiCallEvaluator(hub, base);
  }

  /** Returns the calls of the base that are not valid Python calls: nothing can match them. */
  public List<String> unusableReferences() {
    return unusable;
  }

  /**
   * Returns the Python source in a model's reply: the section {@code <<<api_call>>>}, else the
   * first block between lines of three backticks, else all of it.
   */
  public static String candidate(String reply) {
    Objects.requireNonNull(reply, "reply is null");
    String call = ApiBenchCode.parse(reply).apiCall();
    if (call != null) {
      return call;
    }
    int fence = reply.indexOf("```");
    int start = fence < 0 ? -1 : reply.indexOf('\n', fence);
    if (start < 0) {
      return reply;
    }
    int end = reply.indexOf("```", start);
    return reply.substring(start + 1, end < 0 ? reply.length() : end);
  }

  /** Returns what a candidate is worth; a reference that is no valid call is never matched. */
  public ApiJudgement judge(String candidate, String reference) {
    Objects.requireNonNull(candidate, "candidate is null");
    Objects.requireNonNull(reference, "reference is null");
    List<CallSignature> found = new ArrayList<>();
    try {
      for (PythonTree call : PythonParser.calls(candidate)) {
        CallSignature signature = CallSignature.of(call, hub);
        if (signature != null) {
          found.add(signature);
        }
      }
    } catch (PythonSyntaxException e) {
      return new ApiJudgement(Verdict.HALLUCINATION, "candidate does not parse: " + e.getMessage());
    }
    CallSignature wanted = reference(reference);
    if (wanted != null && found.contains(wanted)) {
      return new ApiJudgement(Verdict.MATCH, "");
    }
    if (found.stream().anyMatch(base::contains)) {
      return new ApiJudgement(Verdict.NO_MATCH, "another API of the base");
    }
    return new ApiJudgement(
        Verdict.HALLUCINATION, found.isEmpty() ? "no call" : "no API of the base");
  }

  /** Returns how many predictions are right. */
  public ApiScore evaluate(Collection<Prediction> predictions) {
    Objects.requireNonNull(predictions, "predictions is null");
    int matches = 0;
    int hallucinations = 0;
    for (Prediction prediction : predictions) {
      switch (judge(prediction.candidate(), prediction.reference()).verdict()) {
        case MATCH -> matches++;
        case HALLUCINATION -> hallucinations++;
        case NO_MATCH -> {}
      }
    }
    return new ApiScore(predictions.size(), matches, hallucinations);
  }

  private @Nullable CallSignature reference(String call) {
    try {
      PythonTree tree = PythonParser.expression(call);
      return tree.kind() == PythonTree.Kind.CALL ? CallSignature.of(tree, hub) : null;
    } catch (PythonSyntaxException e) {
      return null;
    }
  }
}

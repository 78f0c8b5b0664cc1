package org.alpaca4j.weights.gguf;

import java.lang.reflect.RecordComponent;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import org.alpaca4j.core.internal.model.DecoderDescription;
import org.alpaca4j.core.internal.model.DecoderDescription.Activation;
import org.jspecify.annotations.Nullable;

/**
 * The first difference between two descriptions that matters in GGUF. Numbers are the same if they
 * are so in single precision.
 */
final class DescriptionDifference {
  private static final double PRECISION = 1e-6;

  /**
   * What is not compared: the family, which several may share an architecture; rotary frequencies,
   * which {@link GgufRope} writes or refuses; the loss in training; and the head's normed rows,
   * which an export carries out.
   */
  private static final Set<String> IGNORED =
      Set.of("family", "theta", "scaling", "auxiliaryLoss", "normalisedRows");

  private DescriptionDifference() {}

  /** Returns in words what the first one has and the second one not, if anything. */
  static Optional<String> find(DecoderDescription wanted, DecoderDescription computed) {
    return Optional.ofNullable(find("", wanted, computed));
  }

  private static @Nullable String find(
      String path, @Nullable Object wanted, @Nullable Object computed) {
    if (wanted instanceof List<?> first && computed instanceof List<?> second) {
      if (first.size() != second.size()) {
        return first.size() + " " + path + ", where llama.cpp computes with " + second.size();
      }
      for (int i = 0; i < first.size(); i++) {
        String found = find(path + "[" + i + "]", first.get(i), second.get(i));
        if (found != null) {
          return found;
        }
      }
      return null;
    }
    if (wanted instanceof Record record && record.getClass().isInstance(computed)) {
      for (RecordComponent component : record.getClass().getRecordComponents()) {
        String name = component.getName();
        String inner = path.isEmpty() ? name : path + "." + name;
        String found =
            IGNORED.contains(name)
                ? null
                : find(inner, value(component, wanted), value(component, computed));
        if (found != null) {
          return found;
        }
      }
      return null;
    }
    return same(wanted, computed)
        ? null
        : path + " " + brief(wanted) + ", where llama.cpp computes with " + brief(computed);
  }

  private static @Nullable Object value(RecordComponent component, @Nullable Object record) {
    try {
      return component.getAccessor().invoke(record);
    } catch (ReflectiveOperationException e) {
      throw new IllegalStateException(component + " cannot be read", e);
    }
  }

  private static boolean same(@Nullable Object wanted, @Nullable Object computed) {
    if (wanted instanceof Double first && computed instanceof Double second) {
      double difference = Math.abs(first - second);
      return difference <= PRECISION * Math.max(Math.abs(first), Math.abs(second));
    }
    if (wanted instanceof Activation first && computed instanceof Activation second) {
      return exact(first) == exact(second);
    }
    return Objects.equals(wanted, computed);
  }

  /** A GGUF file does not say which form of GELU is meant; ggml computes the one by tanh. */
  private static Activation exact(Activation activation) {
    return activation == Activation.GELU_TANH ? Activation.GELU : activation;
  }

  private static String brief(@Nullable Object value) {
    if (value == null) {
      return "none";
    }
    return value instanceof Record ? value.getClass().getSimpleName() : value.toString();
  }
}

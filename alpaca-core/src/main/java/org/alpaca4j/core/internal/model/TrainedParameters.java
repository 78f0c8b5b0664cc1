package org.alpaca4j.core.internal.model;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Predicate;

/**
 * Which parameters of a model are trained, and where their gradients and an optimizer's moments
 * lie. Immutable.
 *
 * <p>These have a layout of their own for each unit, {@link #gradients}, with the trained
 * parameters alone. Its arguments are those of the weights, in the same order; one of which nothing
 * is trained is empty there, so that programs compute nothing for it. One of which a part is
 * trained is there whole, as it is computed in one product. What an optimizer works on are the
 * {@link #runs}: with everything trained, each flat is one.
 */
public final class TrainedParameters {
  private final List<UnitLayout> gradients;
  private final List<List<Run>> runs;

  /**
   * Trained elements that lie side by side among the parameters and among the gradients.
   *
   * @param flat {@link UnitLayout#DECAYED} or {@link UnitLayout#PLAIN}
   * @param parameter the first one's place in the flat of parameters
   * @param gradient the first one's place in the flat of gradients
   * @param elements their number
   */
  public record Run(int flat, long parameter, long gradient, long elements) {
    private boolean isFollowedBy(Run next) {
      return flat == next.flat
          && parameter + elements == next.parameter
          && gradient + elements == next.gradient;
    }
  }

  private TrainedParameters(List<UnitLayout> gradients, List<List<Run>> runs) {
    this.gradients = gradients;
    this.runs = runs;
  }

  /**
   * Chooses parameters.
   *
   * @param units layouts of all units: embedding, layers, head
   * @param trained whether the parameter of a name is trained
   */
  public static TrainedParameters of(List<UnitLayout> units, Predicate<String> trained) {
    List<UnitLayout> gradients = units.stream().map(unit -> unit.restrictedTo(trained)).toList();
    List<List<Run>> runs = new ArrayList<>();
    for (int i = 0; i < units.size(); i++) {
      runs.add(runs(units.get(i), gradients.get(i)));
    }
    return new TrainedParameters(gradients, List.copyOf(runs));
  }

  /** Both layouts have the trained parameters in the same order. */
  private static List<Run> runs(UnitLayout parameters, UnitLayout gradients) {
    List<Run> runs = new ArrayList<>();
    for (int flat = 0; flat < UnitLayout.FLATS; flat++) {
      for (UnitLayout.Parameter parameter : parameters.parameters()) {
        UnitLayout.Parameter gradient = gradients.parameter(parameter.name());
        if (parameter.flat() != flat || gradient == null) {
          continue;
        }
        Run next = new Run(flat, parameter.offset(), gradient.offset(), parameter.elements());
        Run last = runs.isEmpty() ? next : runs.get(runs.size() - 1);
        if (last.isFollowedBy(next)) {
          long both = last.elements() + next.elements();
          runs.set(runs.size() - 1, new Run(flat, last.parameter(), last.gradient(), both));
        } else {
          runs.add(next);
        }
      }
    }
    return List.copyOf(runs);
  }

  /** Returns the layout of a unit's gradients, and of an optimizer's moments. */
  public UnitLayout gradients(int unit) {
    return gradients.get(unit);
  }

  /** Returns a unit's trained elements, those of {@link UnitLayout#DECAYED} first. */
  public List<Run> runs(int unit) {
    return runs.get(unit);
  }

  /** Returns the number of units, trained or not. */
  public int units() {
    return gradients.size();
  }

  /** Returns the first unit of which anything is trained: none before it needs a backward pass. */
  public int first() {
    int unit = 0;
    while (unit < units() && runs(unit).isEmpty()) {
      unit++;
    }
    return unit;
  }

  /** Returns the number of trained elements. */
  public long elements() {
    return runs.stream().flatMap(List::stream).mapToLong(Run::elements).sum();
  }
}

package org.alpaca4j.examples;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.alpaca4j.data.InstructionRecord;
import org.junit.jupiter.api.Test;

class TinyWorldTest {
  private final TinyWorld world = new TinyWorld();

  @Test
  void noHeldOutInstructionIsTrainedOn() {
    Set<String> trained =
        world.training().stream()
            .map(record -> record.instruction() + "|" + record.input())
            .collect(Collectors.toSet());
    assertThat(world.heldOut())
        .isNotEmpty()
        .noneMatch(record -> trained.contains(record.instruction() + "|" + record.input()));
  }

  @Test
  void noHeldOutVillagerIsNamedInTraining() {
    // Names stand in mid-sentence, or before "is", "has" and "lives".
    Pattern name = Pattern.compile("\\b[A-Z][a-z]+(?= (?:is|has|lives)\\b)");
    Set<String> heldOut = found(name, world.heldOut());
    heldOut.removeAll(Set.of("Who", "What", "Where"));
    assertThat(heldOut).hasSizeGreaterThan(8);
    assertThat(world.training())
        .noneMatch(record -> heldOut.stream().anyMatch(record.toString()::contains));
  }

  @Test
  void noHeldOutListOrSumIsInTraining() {
    Set<String> lists =
        world.training().stream().map(InstructionRecord::input).collect(Collectors.toSet());
    lists.remove("");
    assertThat(world.heldOut()).noneMatch(record -> lists.contains(record.input()));

    Pattern addends = Pattern.compile("\\d+ (?:plus|and) \\d+");
    assertThat(sorted(found(addends, world.heldOut())))
        .isNotEmpty()
        .doesNotContainAnyElementsOf(sorted(found(addends, world.training())));
  }

  @Test
  void theWorldIsTheSameEveryTime() {
    TinyWorld again = new TinyWorld();
    assertThat(again.training()).isEqualTo(world.training());
    assertThat(again.heldOut()).isEqualTo(world.heldOut());
    assertThat(again.stories(50)).isEqualTo(world.stories(50));
  }

  private static Set<String> found(Pattern pattern, List<InstructionRecord> records) {
    return records.stream()
        .flatMap(r -> pattern.matcher(r.instruction() + " " + r.output()).results())
        .map(MatchResult::group)
        .collect(Collectors.toCollection(TreeSet::new));
  }

  /** 3 plus 4 and 4 plus 3 are one sum. */
  private static Set<String> sorted(Set<String> sums) {
    return sums.stream()
        .map(sum -> List.of(sum.split(" (plus|and) ")))
        .map(addends -> addends.stream().sorted().collect(Collectors.joining("+")))
        .collect(Collectors.toSet());
  }
}

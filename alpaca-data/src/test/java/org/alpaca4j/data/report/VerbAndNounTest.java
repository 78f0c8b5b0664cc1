package org.alpaca4j.data.report;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.alpaca4j.data.InstructionRecord;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class VerbAndNounTest {

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "Write a short story about a dog.    | write    | story",
        "Generate three creative names       | generate | names",
        "Please give me the 5 best tips for sleep | give | tips",
        "Can you rewrite this sentence?      | rewrite  | sentence",
        "I want you to summarize the text below. | summarize | text",
        "  - List 10 countries, in order.    | list     | countries",
        "Explain why the sky is blue.        | explain  | ''",
        "Expand the following outline into an article | expand | outline",
        "Sort.                               | sort     | ''",
        "IDENTIFY the Author of the poem     | identify | author"
      })
  void verbAndNounOfAnInstruction(String instruction, String verb, String noun) {
    assertThat(VerbAndNoun.of(instruction)).contains(new VerbAndNoun(verb, noun));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "   ",
        "What is the capital of France?",
        "Is it true?",
        "The following text",
        "写一个故事",
        "3 + 4",
        "Please"
      })
  void whatDoesNotOpenWithAVerbHasNone(String instruction) {
    assertThat(VerbAndNoun.of(instruction)).isEmpty();
  }

  @Test
  void verbsAreCountedWithTheirNouns() {
    List<VerbCount> verbs =
        VerbCount.of(
            List.of(
                InstructionRecord.of("Write a story.", "x"),
                InstructionRecord.of("Add.", "x"),
                InstructionRecord.of("Write a poem.", "x"),
                InstructionRecord.of("Write the poem.", "x"),
                InstructionRecord.of("Write.", "x"),
                InstructionRecord.of("Why?", "x")));

    assertThat(verbs)
        .containsExactly(
            new VerbCount(
                "write",
                4,
                List.of(new VerbCount.NounCount("poem", 2), new VerbCount.NounCount("story", 1))),
            new VerbCount("add", 1, List.of()));
  }
}

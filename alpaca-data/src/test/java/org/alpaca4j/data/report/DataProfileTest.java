package org.alpaca4j.data.report;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.tuple;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.StringReader;
import java.lang.Character.UnicodeScript;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import javax.xml.parsers.DocumentBuilderFactory;
import org.alpaca4j.data.DataException;
import org.alpaca4j.data.InstructionRecord;
import org.alpaca4j.data.SupervisedDataset;
import org.alpaca4j.data.SupervisedExample;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.xml.sax.InputSource;

class DataProfileTest {
  private static final String HOSTILE = "</title><script>alert('x' & \"y\")</script>";

  @TempDir Path folder;

  @Test
  void duplicatesAreEqualRecordsAndSameQuestionsOtherAnswers() {
    DataProfile profile =
        profile(
            new InstructionRecord("a", "", "1"),
            new InstructionRecord("a", "", "1"),
            new InstructionRecord("a", "", "2"),
            new InstructionRecord("a", "b", "1"));

    assertThat(profile.duplicates()).isEqualTo(1);
    assertThat(profile.duplicateInstructions()).isEqualTo(1);
  }

  @Test
  void nearDuplicatesAskAlmostWhatAnEarlierRecordAsks() {
    List<InstructionRecord> records =
        List.of(
            new InstructionRecord("Write a poem about the blue sea", "", "1"),
            new InstructionRecord("Write a poem about the blue sea", "", "2"),
            new InstructionRecord("Write a poem about the blue sky", "", "3"),
            new InstructionRecord("写一首关于春天的诗歌", "", "4"),
            new InstructionRecord("写一首关于秋天的诗歌", "", "5"),
            new InstructionRecord("Add these", "1 2 3 4", "6"),
            new InstructionRecord("Add these", "5 6 7 8", "7"));

    NearDuplicates found = NearDuplicates.of(records, 100, 0.7);

    assertThat(found.count()).isEqualTo(2);
    assertThat(found.examples())
        .extracting(NearDuplicates.Example::record, NearDuplicates.Example::earlier)
        .containsExactly(tuple(4, 3), tuple(2, 0));
    assertThat(found).hasToString("2 among 7 records (ROUGE-L above 0.7)");
    assertThat(NearDuplicates.of(records, 3, 0.7))
        .hasToString("1 among the first 3 of 7 records (ROUGE-L above 0.7)");
    assertThatThrownBy(() -> NearDuplicates.of(records, 0, 0.7)).hasMessageContaining("limit");
  }

  @Test
  void ofNearDuplicatesTheMostAlikeAreShownAndLongTextsAreCut() {
    List<InstructionRecord> records = new ArrayList<>();
    for (int i = 0; i < 30; i++) {
      records.add(InstructionRecord.of("😀 word ".repeat(100) + "\n" + i, "x"));
    }

    NearDuplicates found = NearDuplicates.of(records, 100, 0.7);

    assertThat(found.count()).isEqualTo(29);
    assertThat(found.examples()).hasSize(20);
    String shown = found.examples().get(0).question();
    assertThat(shown.codePointCount(0, shown.length())).isEqualTo(201);
  }

  @Test
  void nearDuplicatesAreInEveryFormOfTheReport() throws IOException {
    InstructionRecord first = InstructionRecord.of("Say <b>one two three four</b>", "x");
    InstructionRecord second = InstructionRecord.of("Say <b>one two three five</b>", "x");
    DataProfile without = profile(first, second);
    DataProfile with =
        without.withNearDuplicates(NearDuplicates.of(List.of(first, second), 10, 0.7));

    assertThat(without.text()).contains("near duplicates not looked for");
    assertThat(with.text()).contains("near duplicates 1 among 2 records");
    assertThat(json(without).get("near_duplicates").isNull()).isTrue();
    assertThat(json(with).at("/near_duplicates/count").intValue()).isEqualTo(1);
    assertThat(json(with).at("/near_duplicates/examples/0/earlier").intValue()).isZero();
    assertThat(ProfilePage.of(without, "t")).contains("Not looked for.");
    assertThat(ProfilePage.of(with, "t"))
        .contains("1 among 2 records", "&lt;b&gt;one two three five&lt;/b&gt;");
  }

  private static JsonNode json(DataProfile profile) throws IOException {
    return new ObjectMapper().readTree(ProfileJson.of(profile));
  }

  @Test
  void scriptsAreThoseOfMostLetters() {
    DataProfile profile =
        profile(
            InstructionRecord.of("Write a poem", "x"),
            InstructionRecord.of("Translate", "yes"),
            InstructionRecord.of("写一首关于春天的诗", "ok"),
            InstructionRecord.of("春の俳句を書く", "漢字漢字漢字漢字"),
            InstructionRecord.of("Напиши", "да"),
            InstructionRecord.of("1 + 1", "2"));

    assertThat(profile.scripts())
        .containsOnly(
            java.util.Map.entry(UnicodeScript.LATIN, 2),
            java.util.Map.entry(UnicodeScript.HAN, 1),
            java.util.Map.entry(UnicodeScript.HIRAGANA, 1),
            java.util.Map.entry(UnicodeScript.CYRILLIC, 1),
            java.util.Map.entry(UnicodeScript.COMMON, 1));
    assertThat(profile.scripts().keySet().iterator().next()).isEqualTo(UnicodeScript.LATIN);
  }

  @Test
  void lengthsFallIntoAtMost32BinsOfARoundWidth() {
    assertThat(LengthHistogram.of(dataset(2, 3, 31)))
        .satisfies(h -> assertThat(h.binWidth()).isEqualTo(1))
        .satisfies(h -> assertThat(h.counts()).hasSize(32).endsWith(1));
    LengthHistogram longer = LengthHistogram.of(dataset(2, 150, 151, 320));
    assertThat(longer.binWidth()).isEqualTo(20);
    assertThat(longer.counts()).hasSize(17).startsWith(1, 0).endsWith(0, 1);
    assertThat(longer.counts().get(7)).isEqualTo(2);
    assertThat(longer.text().lines()).hasSize(17).element(7).asString().endsWith("#".repeat(50));
  }

  @Test
  void jsonHoldsTheFigures() throws IOException {
    Path file = folder.resolve("new/report.json");
    profile(InstructionRecord.of("Write a poem", "x"), InstructionRecord.of("Why?", "x"))
        .writeJson(file);

    JsonNode json = new ObjectMapper().readTree(file.toFile());
    assertThat(json.get("records").intValue()).isEqualTo(2);
    assertThat(json.get("truncated").intValue()).isZero();
    assertThat(json.get("shortened").intValue()).isZero();
    assertThat(json.get("supervised_share").doubleValue()).isGreaterThan(0);
    assertThat(json.at("/verbs/0/verb").textValue()).isEqualTo("write");
    assertThat(json.at("/verbs/0/nouns/poem").intValue()).isEqualTo(1);
    assertThat(json.at("/scripts/LATIN").intValue()).isEqualTo(2);
    assertThat(json.at("/lengths/counts").size()).isPositive();
  }

  @Test
  void thePageIsWellFormedAndSelfContained() throws Exception {
    Path file = folder.resolve("report.html");
    List<InstructionRecord> records = new ArrayList<>();
    for (String verb : List.of("Write", "Add", "Sort", "Sing", "Draw")) {
      for (String noun : List.of("songs", "lists", "tables", "names", "words")) {
        records.add(InstructionRecord.of(verb + " " + noun, "x"));
      }
    }
    profile(records.toArray(InstructionRecord[]::new))
        .withNearDuplicates(
            new NearDuplicates(
                9, 9, 0.7, 1, List.of(new NearDuplicates.Example(1, 0, 1, HOSTILE, HOSTILE))))
        .writeHtml(file, HOSTILE);

    String page = Files.readString(file);
    assertThat(page)
        .doesNotContain("<script")
        .doesNotContain("http")
        .doesNotContain("src=")
        .contains("&lt;script&gt;alert(&#39;x&#39; &amp; &quot;y&quot;)")
        .contains("write songs: 1");
    String elements = page.substring(page.indexOf("<body>"), page.indexOf("</html>"));
    assertThat(
            DocumentBuilderFactory.newInstance()
                .newDocumentBuilder()
                .parse(new InputSource(new StringReader(elements)))
                .getElementsByTagName("path")
                .getLength())
        .isEqualTo(5 + 5 * 4);
    try (var files = Files.list(folder)) {
      assertThat(files).containsExactly(file);
    }
  }

  @Test
  void oneVerbAloneIsAWholeRing() {
    String svg = Sunburst.svg(VerbCount.of(List.of(InstructionRecord.of("Write a poem", "x"))));

    assertThat(svg).contains(">write</text>").contains(">poem</text>").doesNotContain("NaN");
  }

  @Test
  void whatHtmlCannotHoldIsReplaced() {
    assertThat(ProfilePage.escape("a\0b\uD800c\n")).isEqualTo("a\uFFFDb\uFFFDc\n");
  }

  @Test
  void aPlaceThatCannotBeWrittenIsNamed() throws IOException {
    Path file = Files.writeString(folder.resolve("file"), "x");

    assertThatThrownBy(
            () -> profile(InstructionRecord.of("a", "b")).writeJson(file.resolve("report.json")))
        .isInstanceOf(DataException.class)
        .hasMessageContaining("report.json: cannot be written");
  }

  @Test
  void theTextIsForATerminal() {
    assertThat(profile(InstructionRecord.of("Write a poem", "x")).text())
        .contains("records 1, examples 1")
        .contains("most frequent [write 1]");
  }

  private static DataProfile profile(InstructionRecord... records) {
    int[] lengths = new int[records.length];
    Arrays.fill(lengths, 4);
    return DataProfile.of(List.of(records), dataset(lengths));
  }

  private static SupervisedDataset dataset(int... lengths) {
    return SupervisedDataset.of(
        Arrays.stream(lengths)
            .mapToObj(n -> new SupervisedExample(new int[n], new int[n]))
            .toList());
  }
}

package org.alpaca4j.data.report;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import org.alpaca4j.data.DataReport;
import org.jspecify.annotations.Nullable;

/** A profile as JSON. */
final class ProfileJson {
  private static final ObjectMapper JSON = new ObjectMapper();

  private ProfileJson() {}

  static String of(DataProfile profile) {
    DataReport report = profile.report();
    ObjectNode root =
        JSON.createObjectNode()
            .put("records", report.records())
            .put("examples", report.examples())
            .put("tokens", report.tokens())
            .put("supervised_tokens", report.supervisedTokens())
            .put("supervised_share", report.supervisedShare())
            .put("longest", report.longest())
            .put("truncated", report.truncated())
            .put("shortened", report.shortened());
    root.set("fully_masked", JSON.valueToTree(report.fullyMasked()));
    root.set("too_long", JSON.valueToTree(report.tooLong()));
    root.put("duplicates", profile.duplicates());
    root.put("duplicate_instructions", profile.duplicateInstructions());
    root.set("near_duplicates", nearDuplicates(profile.nearDuplicates()));
    root.putObject("lengths")
        .put("bin_width", profile.lengths().binWidth())
        .set("counts", JSON.valueToTree(profile.lengths().counts()));
    ObjectNode scripts = root.putObject("scripts");
    profile.scripts().forEach((script, count) -> scripts.put(script.name(), count));
    ArrayNode verbs = root.putArray("verbs");
    for (VerbCount verb : profile.verbs()) {
      ObjectNode nouns =
          verbs.addObject().put("verb", verb.verb()).put("count", verb.count()).putObject("nouns");
      verb.nouns().forEach(noun -> nouns.put(noun.noun(), noun.count()));
    }
    try {
      return JSON.writerWithDefaultPrettyPrinter().writeValueAsString(root) + "\n";
    } catch (JsonProcessingException e) {
      throw new IllegalStateException("a tree of numbers and texts is always JSON", e);
    }
  }

  private static @Nullable ObjectNode nearDuplicates(@Nullable NearDuplicates found) {
    if (found == null) {
      return null;
    }
    ObjectNode node =
        JSON.createObjectNode()
            .put("compared", found.compared())
            .put("threshold", found.threshold())
            .put("count", found.count());
    ArrayNode examples = node.putArray("examples");
    for (NearDuplicates.Example example : found.examples()) {
      examples
          .addObject()
          .put("record", example.record())
          .put("earlier", example.earlier())
          .put("score", example.score())
          .put("question", example.question())
          .put("earlier_question", example.earlierQuestion());
    }
    return node;
  }
}

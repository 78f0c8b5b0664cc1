package org.alpaca4j.data.report;

import java.util.Locale;
import java.util.Map;
import org.alpaca4j.data.DataReport;

/** A profile as a page of HTML, with its style and drawings in it. */
final class ProfilePage {
  private static final int VERBS_IN_TABLE = 30;
  private static final int NOUNS_IN_TABLE = 6;
  private static final int WIDTH = 860;
  private static final int HEIGHT = 260;

  private static final String HEAD =
      """
      <!DOCTYPE html>
      <html lang="en">
      <head>
      <meta charset="utf-8">
      <meta name="viewport" content="width=device-width, initial-scale=1">
      <title>TITLE</title>
      <style>
      body { font: 15px/1.5 system-ui, sans-serif; max-width: 900px; margin: 2em auto; color: #222; }
      table { border-collapse: collapse; }
      td, th { padding: .15em .8em .15em 0; text-align: left; vertical-align: top; }
      td.n { text-align: right; }
      svg { max-width: 100%; height: auto; }
      svg text { font: 11px system-ui, sans-serif; }
      </style>
      </head>
      <body>
      <h1>TITLE</h1>
      """;

  private final DataProfile profile;
  private final StringBuilder out = new StringBuilder();

  private ProfilePage(DataProfile profile) {
    this.profile = profile;
  }

  static String of(DataProfile profile, String title) {
    ProfilePage page = new ProfilePage(profile);
    page.out.append(HEAD.replace("TITLE", escape(title)));
    page.counts();
    page.lengths();
    page.verbs();
    page.scripts();
    page.nearDuplicates();
    page.out.append("</body>\n</html>\n");
    return page.out.toString();
  }

  /** Returns a text as it can stand in an element or in a quoted attribute. */
  static String escape(String text) {
    StringBuilder escaped = new StringBuilder();
    text.codePoints()
        .forEach(
            c -> {
              switch (c) {
                case '&' -> escaped.append("&amp;");
                case '<' -> escaped.append("&lt;");
                case '>' -> escaped.append("&gt;");
                case '"' -> escaped.append("&quot;");
                case '\'' -> escaped.append("&#39;");
                default -> {
                  boolean allowed = !Character.isISOControl(c) || Character.isWhitespace(c);
                  boolean half = c >= Character.MIN_SURROGATE && c <= Character.MAX_SURROGATE;
                  escaped.appendCodePoint(allowed && !half ? c : 0xFFFD);
                }
              }
            });
    return escaped.toString();
  }

  private void counts() {
    DataReport report = profile.report();
    out.append("<table>\n");
    row("records", report.records());
    row("examples", report.examples());
    row("left out: no supervised token", report.fullyMasked().size());
    row("left out: too long", report.tooLong().size());
    row("truncated examples, which lost the end of their answer", report.truncated());
    row("shortened examples, which lost early turns or prompt", report.shortened());
    row("exact duplicates", profile.duplicates());
    row("same question, another answer", profile.duplicateInstructions());
    row("tokens", report.tokens());
    row("supervised tokens", report.supervisedTokens());
    row("longest example, tokens", report.longest());
    out.append("</table>\n<p>")
        .append(String.format(Locale.ROOT, "%.1f", 100 * report.supervisedShare()))
        .append(" % of the tokens are supervised.</p>\n");
  }

  private void row(String name, long value) {
    out.append("<tr><td>")
        .append(escape(name))
        .append("</td><td class=\"n\">")
        .append(value)
        .append("</td></tr>\n");
  }

  private void lengths() {
    LengthHistogram lengths = profile.lengths();
    int bins = lengths.counts().size();
    int largest =
        Math.max(1, lengths.counts().stream().mapToInt(Integer::intValue).max().orElse(1));
    double step = (double) WIDTH / bins;
    out.append("<h2>Tokens per example</h2>\n")
        .append(
            String.format(
                Locale.ROOT,
                "<svg viewBox=\"0 0 %d %d\" width=\"%d\" role=\"img\""
                    + " aria-label=\"histogram of lengths\">%n",
                WIDTH,
                HEIGHT + 20,
                WIDTH));
    for (int bin = 0; bin < bins; bin++) {
      int count = lengths.counts().get(bin);
      int from = bin * lengths.binWidth();
      double height = (double) (HEIGHT - 20) * count / largest;
      out.append(
          String.format(
              Locale.ROOT,
              "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"#1f5fae\">"
                  + "<title>%d to %d tokens: %d</title></rect>%n",
              bin * step,
              HEIGHT - height,
              Math.max(1, step - 1),
              height,
              from,
              from + lengths.binWidth() - 1,
              count));
      if (bin % Math.max(1, bins / 8) == 0) {
        out.append(
            String.format(
                Locale.ROOT,
                "<text x=\"%.1f\" y=\"%d\">%d</text>%n",
                bin * step,
                HEIGHT + 15,
                from));
      }
    }
    out.append("</svg>\n");
  }

  private void verbs() {
    out.append("<h2>Verbs and their nouns</h2>\n");
    if (profile.verbs().isEmpty()) {
      out.append("<p>No instruction opens with a verb.</p>\n");
      return;
    }
    out.append(Sunburst.svg(profile.verbs()));
    out.append("<table>\n<tr><th>verb</th><th>count</th><th>nouns</th></tr>\n");
    for (VerbCount verb : profile.verbs().stream().limit(VERBS_IN_TABLE).toList()) {
      String nouns =
          String.join(
              ", ",
              verb.nouns().stream()
                  .limit(NOUNS_IN_TABLE)
                  .map(noun -> noun.noun() + " " + noun.count())
                  .toList());
      out.append("<tr><td>")
          .append(escape(verb.verb()))
          .append("</td><td class=\"n\">")
          .append(verb.count())
          .append("</td><td>")
          .append(escape(nouns))
          .append("</td></tr>\n");
    }
    out.append("</table>\n<p>").append(profile.verbs().size()).append(" different verbs.</p>\n");
  }

  private void scripts() {
    out.append("<h2>Scripts</h2>\n<table>\n");
    for (Map.Entry<Character.UnicodeScript, Integer> script : profile.scripts().entrySet()) {
      row(script.getKey().name().toLowerCase(Locale.ROOT), script.getValue());
    }
    out.append("</table>\n");
  }

  private void nearDuplicates() {
    NearDuplicates found = profile.nearDuplicates();
    out.append("<h2>Near duplicates</h2>\n<p>")
        .append(found == null ? "Not looked for." : escape(found.toString()))
        .append("</p>\n");
    if (found == null || found.examples().isEmpty()) {
      return;
    }
    out.append(
        "<table>\n<tr><th>score</th><th>record</th><th></th><th>is like</th><th></th></tr>\n");
    for (NearDuplicates.Example example : found.examples()) {
      out.append(
          String.format(
              Locale.ROOT,
              "<tr><td>%.3f</td><td>%d</td><td>%s</td><td>%d</td><td>%s</td></tr>%n",
              example.score(),
              example.record(),
              escape(example.question()),
              example.earlier(),
              escape(example.earlierQuestion())));
    }
    out.append("</table>\n");
  }
}

package org.alpaca4j.data.report;

import java.util.List;
import java.util.Locale;

/**
 * The figure of Self-Instruct and Alpaca: the most frequent verbs as an inner ring, around each its
 * most frequent nouns.
 */
final class Sunburst {
  private static final int VERBS = 20;
  private static final int NOUNS = 4;
  private static final double HOLE = 60;
  private static final double MIDDLE = 190;
  private static final double EDGE = 330;
  private static final int SIZE = 700;

  /** Narrower parts, as a share of the circle, have no room for a label. */
  private static final double LABELLED = 0.006;

  private final StringBuilder out = new StringBuilder();
  private double at;

  private Sunburst() {}

  static String svg(List<VerbCount> verbs) {
    Sunburst figure = new Sunburst();
    figure.draw(verbs.subList(0, Math.min(VERBS, verbs.size())));
    return figure.out.toString();
  }

  private void draw(List<VerbCount> verbs) {
    double total = verbs.stream().mapToInt(VerbCount::count).sum();
    out.append(
        String.format(
            Locale.ROOT,
            "<svg viewBox=\"%d %d %d %d\" width=\"%d\" role=\"img\""
                + " aria-label=\"verbs and nouns\">%n",
            -SIZE / 2,
            -SIZE / 2,
            SIZE,
            SIZE,
            SIZE));
    for (int v = 0; v < verbs.size(); v++) {
      VerbCount verb = verbs.get(v);
      int hue = 360 * v / verbs.size();
      double start = at;
      part(HOLE, MIDDLE, start, verb.count() / total, verb.verb(), verb.count(), hue, 62);
      for (VerbCount.NounCount noun : verb.nouns().stream().limit(NOUNS).toList()) {
        String name = verb.verb() + " " + noun.noun();
        part(MIDDLE, EDGE, at, noun.count() / total, name, noun.count(), hue, 80);
        at += noun.count() / total;
      }
      at = start + verb.count() / total;
    }
    out.append("</svg>\n");
  }

  /** Draws a part of a ring; places are shares of the circle, clockwise from the top. */
  private void part(
      double inner,
      double outer,
      double start,
      double share,
      String name,
      int count,
      int hue,
      int lightness) {
    // An arc from a point to itself would be nothing.
    double end = start + Math.min(share, 0.9999);
    out.append(
        String.format(
            Locale.ROOT,
            "<path d=\"M%s A%.1f %.1f 0 %d 1 %s L%s A%.1f %.1f 0 %d 0 %s Z\""
                + " fill=\"hsl(%d,60%%,%d%%)\" stroke=\"#fff\"><title>%s: %d</title></path>%n",
            point(outer, start),
            outer,
            outer,
            share > 0.5 ? 1 : 0,
            point(outer, end),
            point(inner, end),
            inner,
            inner,
            share > 0.5 ? 1 : 0,
            point(inner, start),
            hue,
            lightness,
            ProfilePage.escape(name),
            count));
    if (share >= LABELLED) {
      double middle = (start + end) / 2;
      double degrees = 360 * middle - 90;
      boolean left = middle > 0.5;
      String label = name.substring(name.lastIndexOf(' ') + 1);
      out.append(
          String.format(
              Locale.ROOT,
              "<text transform=\"rotate(%.1f)\" x=\"%.1f\" y=\"4\" text-anchor=\"%s\">%s</text>%n",
              left ? degrees + 180 : degrees,
              left ? -inner - 6 : inner + 6,
              left ? "end" : "start",
              ProfilePage.escape(label.length() > 18 ? label.substring(0, 18) + "…" : label)));
    }
  }

  private static String point(double radius, double share) {
    double angle = 2 * Math.PI * share;
    return String.format(
        Locale.ROOT, "%.2f %.2f", radius * Math.sin(angle), -radius * Math.cos(angle));
  }
}

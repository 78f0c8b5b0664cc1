package org.alpaca4j.examples;

import java.awt.Color;
import java.io.IOException;
import java.nio.file.Path;
import java.util.stream.IntStream;
import org.alpaca4j.data.report.LengthHistogram;
import org.knowm.xchart.CategoryChart;
import org.knowm.xchart.CategoryChartBuilder;

/** Draws how many examples have how many tokens. */
final class LengthPlot {
  private static final int WIDTH = 900;
  private static final int HEIGHT = 420;

  private LengthPlot() {}

  /**
   * Writes a PNG.
   *
   * @return where the plot is; or, where Java has no fonts to draw with, that it is not
   * @throws IOException if the file cannot be written
   */
  static String save(LengthHistogram lengths, String title, Path png) throws IOException {
    System.setProperty("java.awt.headless", "true");
    CategoryChart chart =
        new CategoryChartBuilder()
            .width(WIDTH)
            .height(HEIGHT)
            .title(title)
            .xAxisTitle("tokens, from")
            .yAxisTitle("examples")
            .build();
    chart.getStyler().setLegendVisible(false);
    chart.getStyler().setChartBackgroundColor(Color.WHITE);
    chart.getStyler().setAvailableSpaceFill(0.95);
    chart.getStyler().setXAxisLabelRotation(45);
    chart
        .addSeries(
            "examples",
            IntStream.range(0, lengths.counts().size())
                .mapToObj(bin -> bin * lengths.binWidth())
                .toList(),
            lengths.counts())
        .setFillColor(new Color(0x1F, 0x5F, 0xAE));
    return ChartImage.save(chart, png);
  }
}

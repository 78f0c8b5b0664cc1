package org.alpaca4j.examples;

import java.awt.Color;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.alpaca4j.train.TrainingListener.Step;
import org.alpaca4j.train.TrainingResult;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.XYSeries;
import org.knowm.xchart.style.Styler.LegendPosition;
import org.knowm.xchart.style.lines.SeriesLines;
import org.knowm.xchart.style.markers.SeriesMarkers;

/** Draws the loss curve of a training run. */
final class LossPlot {
  private static final int WIDTH = 900;
  private static final int HEIGHT = 520;

  private LossPlot() {}

  /**
   * Writes a PNG: the loss of every step, its moving average, and the evaluations, if any.
   *
   * @return where the plot is; or, where Java has no fonts to draw with, that it is not
   * @throws IOException if the file cannot be written
   */
  static String save(TrainingResult result, String title, Path png) throws IOException {
    System.setProperty("java.awt.headless", "true");
    XYChart chart =
        new XYChartBuilder()
            .width(WIDTH)
            .height(HEIGHT)
            .title(title)
            .xAxisTitle("step")
            .yAxisTitle("loss (nats per token)")
            .build();
    chart.getStyler().setLegendPosition(LegendPosition.InsideNE);
    chart.getStyler().setChartBackgroundColor(Color.WHITE);
    chart.getStyler().setYAxisMin(0.0);

    double[] steps = result.steps().stream().mapToDouble(Step::step).toArray();
    double[] losses = result.steps().stream().mapToDouble(Step::loss).toArray();
    line(chart, "training", steps, losses, new Color(0xB5, 0xCD, 0xEA), 1);
    line(chart, "training, smoothed", steps, smoothed(losses), new Color(0x1F, 0x5F, 0xAE), 2);
    List<TrainingResult.Evaluated> evaluations = result.evaluations();
    if (!evaluations.isEmpty()) {
      double[] at = evaluations.stream().mapToDouble(e -> e.step()).toArray();
      double[] loss = evaluations.stream().mapToDouble(e -> e.evaluation().loss()).toArray();
      line(chart, "held out", at, loss, new Color(0xD9, 0x5F, 0x02), 2)
          .setMarker(SeriesMarkers.CIRCLE);
    }
    return ChartImage.save(chart, png);
  }

  private static XYSeries line(
      XYChart chart, String name, double[] x, double[] y, Color color, float width) {
    XYSeries series = chart.addSeries(name, x, y);
    series.setLineColor(color).setLineStyle(SeriesLines.SOLID).setLineWidth(width);
    series.setMarkerColor(color).setMarker(SeriesMarkers.NONE);
    return series;
  }

  /**
   * Exponential moving average as in LLaMA-Factory's plots: the more steps, the smoother, with
   * weight 1.8 (sigmoid(0.05 n) - 0.5).
   */
  private static double[] smoothed(double[] values) {
    double weight = 1.8 * (1 / (1 + Math.exp(-0.05 * values.length)) - 0.5);
    double[] smooth = new double[values.length];
    double last = values.length == 0 ? 0 : values[0];
    for (int i = 0; i < values.length; i++) {
      last = last * weight + (1 - weight) * values[i];
      smooth[i] = last;
    }
    return smooth;
  }
}

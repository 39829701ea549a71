from program import Program, expect, plainly

CONVERT = "/usr/bin/convert-im6.q16"


class Measured(Program):
    title = "ImageMagick: one process makes pictures of a photo in a dozen sizes"
    packages = ["imagemagick"]
    limit_mib = 256

    def make(self):
        self.photo = f"{self.work}/photo.ppm"
        plainly(CONVERT, "-seed", "7", "-size", "2200x1600", "plasma:fractal", "-depth", "8", self.photo)

    def run(self, box):
        steps = []
        for percent in (95, 30, 80, 45, 65, 20, 75, 55, 35, 90, 25, 60):
            steps += ["(", "mpr:photo", "-resize", f"{percent}%", "-blur", "0x1", "-unsharp", "0x1", "-write",
                      f"ppm:/dev/null", "-crop", "16x16+0+0", "+repage", ")"]
        words = [CONVERT, self.photo, "-write", "mpr:photo", "+delete", *steps, "-append", "-format", "%wx%h\n", "info:"]
        expect("size", box.run(*words).splitlines()[:1], [b"16x192"])

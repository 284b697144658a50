"""The library behind the lessons: object detection from the overlap of two boxes upwards.

Import the topic you need, for example `from course_lib.boxes import box_iou`.
Importing the package itself loads nothing.
"""
